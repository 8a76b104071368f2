-- Fills a user's keys again, all at once, unless somebody has meanwhile.
-- ARGV: now, then for each REPL: id, createdAtMs, record, session or '', note or ''
if isKnown() then return { 'ok' } end
redis.call('DEL', repls, index)
for at = 2, #ARGV, 5 do
  redis.call('ZADD', repls, ARGV[at + 1], ARGV[at])
  redis.call('HSET', index, 'record:' .. ARGV[at], ARGV[at + 2])
  setOrClear('session:' .. ARGV[at], ARGV[at + 3])
  setOrClear('note:' .. ARGV[at], ARGV[at + 4])
end
local time = redis.call('TIME')
redis.call('HSET', index, 'epoch', time[1] .. '.' .. time[2], 'history', history())
changed()
return { 'ok' }
