-- Names the history of the server's data: another one begins at each start, and when a replica takes its master's
-- place. Both may know less than was known before. Empty where INFO is refused.
local function history()
  local info = redis.pcall('INFO', 'replication')
  return type(info) == 'string' and info:match('master_replid:(%x+)') or ''
end
