-- Counts and takes a place in one step: of any number of parallel calls, no more pass than there are places.
-- KEYS: userRepls, replMeta, activeSession   ARGV: replId, sessionId, userId, createdAtMs, maxRepls, maxActive, now, ttl, state, meta fields...
local current = redis.call('HGET', KEYS[3], 'sessionId')
if current and current ~= ARGV[2] then return 'conflict' end
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[5]) then return 'repls' end
if not current then
  local active = 0
  for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    if id ~= ARGV[1] and redis.call('EXISTS', 'activeSession:' .. id) == 1 then active = active + 1 end
  end
  if active >= tonumber(ARGV[6]) then return 'active' end
end
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
redis.call('HSET', KEYS[2], unpack(ARGV, 10))
redis.call('HDEL', KEYS[2], 'statusReason')
redis.call('HSET', KEYS[3], 'sessionId', ARGV[2], 'userId', ARGV[3], 'state', ARGV[9], 'startedAt', ARGV[7], 'lastActivityAt', ARGV[7], 'connections', '0')
redis.call('EXPIRE', KEYS[3], ARGV[8])
return 'ok'
