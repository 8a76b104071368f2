-- Frees a session's place, only if it is still that session's, and notes how it ended.
-- KEYS: activeSession, replMeta   ARGV: sessionId, fields of replMeta...
local current = redis.call('HGET', KEYS[1], 'sessionId')
if current and current ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('HDEL', KEYS[2], 'statusReason')
  if #ARGV > 1 then redis.call('HSET', KEYS[2], unpack(ARGV, 2)) end
end
return 1
