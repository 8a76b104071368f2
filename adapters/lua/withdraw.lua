-- Frees a session's place, unless it is another's, and notes how it ended.   ARGV: now, replId, sessionId, record or '', note or ''
if not isKnown() then return { 'unknown' } end
local id = ARGV[2]
local current = sessionOf(id)
if current and current ~= ARGV[3] then return { 'other' } end
redis.call('HDEL', index, 'session:' .. id, 'unsaved:' .. id)
if redis.call('ZSCORE', repls, id) then
  if ARGV[4] ~= '' then redis.call('HSET', index, 'record:' .. id, ARGV[4]) end
  setOrClear('note:' .. id, ARGV[5])
end
changed()
return { 'ok' }
