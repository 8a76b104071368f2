-- Counts and takes a place in one step. With the epoch of an earlier taking it confirms that place, and counts
-- again if the keys were flushed since: then others may have taken what this one held.
-- ARGV: now, replId, sessionId, createdAtMs, maxRepls, maxActive, record, session, note, epoch or ''
if not isKnown() then return { 'unknown' } end
local id, session, earlier = ARGV[2], ARGV[3], ARGV[10]
local epoch = redis.call('HGET', index, 'epoch')
local current = sessionOf(id)
if current and current ~= session then return { 'conflict' } end
local isMember = redis.call('ZSCORE', repls, id)
local isLost = earlier ~= '' and earlier ~= epoch
if isLost or not isMember then
  local others = redis.call('ZCARD', repls) - (isMember and 1 or 0)
  if others >= tonumber(ARGV[5]) then return { 'repls' } end
end
if isLost or not current then
  local others = 0
  for _, other in ipairs(redis.call('ZRANGE', repls, 0, -1)) do
    if other ~= id and sessionOf(other) then others = others + 1 end
  end
  if others >= tonumber(ARGV[6]) then return { 'active' } end
end
redis.call('ZADD', repls, ARGV[4], id)
redis.call(earlier == '' and 'HSETNX' or 'HSET', index, 'record:' .. id, ARGV[7])
-- A taking that comes again, or late, changes nothing of a session that has gone on since.
if not current or not ARGV[8]:find('"state":"starting"', 1, true) then
  redis.call('HSET', index, 'session:' .. id, ARGV[8])
  setOrClear('note:' .. id, ARGV[9])
end
if not current then redis.call('HDEL', index, 'unsaved:' .. id) end
changed()
return { 'ok', epoch }
