-- A user's REPLs with their sessions, newest first, in one round trip. False when nothing is known of the user.
-- KEYS: userRepls
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local answer = {}
for _, id in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, -1)) do
  answer[#answer + 1] = { redis.call('HGETALL', 'replMeta:' .. id), redis.call('HGETALL', 'activeSession:' .. id) }
end
return answer
