-- Lets a session live on, while it is the REPL's.   ARGV: now, replId, sessionId, until
if not isKnown() then return { 'unknown' } end
if sessionOf(ARGV[2]) ~= ARGV[3] then return { 'other' } end
local text = redis.call('HGET', index, 'session:' .. ARGV[2])
redis.call('HSET', index, 'session:' .. ARGV[2], (text:gsub('|%d+|', '|' .. ARGV[4] .. '|', 1)))
return { 'ok' }
