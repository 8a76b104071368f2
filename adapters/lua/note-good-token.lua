-- Remembers that a token is good, unless it was revoked. Begins with history.lua.   KEYS: token   ARGV: ttl in seconds
if redis.call('GET', KEYS[1]) == 'revoked' then return 0 end
redis.call('SET', KEYS[1], 'good ' .. history(), 'EX', ARGV[1])
return 1
