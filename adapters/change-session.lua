-- Changes a session's fields only while it is still the REPL's session. A missing one is made: the keys may have been flushed.
-- KEYS: activeSession   ARGV: sessionId, ttl, fields...
local current = redis.call('HGET', KEYS[1], 'sessionId')
if current and current ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'sessionId', ARGV[1], unpack(ARGV, 3))
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
