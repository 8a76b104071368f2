-- Changes what is known of a session, while it is the REPL's.   ARGV: now, replId, sessionId, session
if not isKnown() then return { 'unknown' } end
local current = sessionOf(ARGV[2])
if (current and current ~= ARGV[3]) or not redis.call('ZSCORE', repls, ARGV[2]) then return { 'other' } end
redis.call('HSET', index, 'session:' .. ARGV[2], ARGV[4])
changed()
return { 'ok' }
