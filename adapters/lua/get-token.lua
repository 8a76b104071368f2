-- What is remembered of a token. Begins with history.lua: that it is good was said by a server that knew of every
-- revocation until then, which one that came back older does not.   KEYS: token
local state = redis.call('GET', KEYS[1])
if state == 'revoked' then return state end
return state == 'good ' .. history() and 'good' or false
