//! What Redis does in one step, in Lua (EVAL).
//!
//! All keys of a script share a slot of a Redis Cluster: the history and the registry have the key as their hash tag.

/// Sets the key if it still holds what was read, and writes the history.
///
/// KEYS: the key, its history. ARGV: what was expected (`missing`, `value`, `wrong type`, `too long`), the expected
/// value, the new one, how many changes to keep, the longest value, then the fields of the history's entry.
pub(super) const SET: &str = "
local is = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[5])
if is == '' or type(is) == 'table' then is = redis.pcall('GET', KEYS[1]) end
local kind = 'value'
if not is then kind = 'missing' elseif type(is) == 'table' then
  if not string.find(is.err, 'WRONGTYPE', 1, true) then return is end
  kind = 'wrong type'
elseif #is > tonumber(ARGV[5]) then
  kind = 'too long'
  is = tostring(redis.pcall('STRLEN', KEYS[1]))
end
if kind ~= ARGV[1] or (kind == 'value' and is ~= ARGV[2]) then
  return {0, kind, (kind == 'value' or kind == 'too long') and is or ''}
end
redis.call('SET', KEYS[1], ARGV[3])
local added = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', unpack(ARGV, 6))
return {1, type(added) == 'table' and added.err or ''}
";

/// Writes a change from outside into the history: once, however many providers have seen it, and only while the key
/// still says so. In whatever order a traffic names its colors it is the same.
///
/// KEYS: the key, its history. ARGV: the value seen, the traffic that it means, the traffic before, how many changes
/// to keep, when, by whom.
pub(super) const RECORD: &str = "
local function sorted(traffic)
  local shares = {}
  for share in string.gmatch(traffic, '[^,]+') do shares[#shares + 1] = share end
  table.sort(shares)
  return table.concat(shares, ',')
end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local from = ARGV[3]
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
if newest then
  for i = 1, #newest[2], 2 do
    if newest[2][i] == 'to' then from = newest[2][i + 1] end
  end
  if sorted(from) == sorted(ARGV[2]) then return 0 end
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*',
  'at', ARGV[5], 'from', from, 'to', ARGV[2], 'by', ARGV[6], 'why', '')
return 1
";

/// Writes a provider's report, and the list of its instances where it is given, with the server's time before each, so
/// that no two clocks are compared. Answers 1 where there was no report of it before, and so no list either. Reports that
/// are hours old go when a new provider comes, once there are many.
///
/// KEYS: the registry. ARGV: the provider, its report, the field of its list, and the list.
pub(super) const REPORT: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stamp = string.format('%d', now) .. ' '
if ARGV[4] then redis.call('HSET', KEYS[1], ARGV[3], stamp .. ARGV[4]) end
local new = redis.call('HSET', KEYS[1], ARGV[1], stamp .. ARGV[2])
redis.call('EXPIRE', KEYS[1], 86400)
if new == 1 and redis.call('HLEN', KEYS[1]) > 128 then
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local at = tonumber(string.match(all[i + 1], '^%d+'))
    if not at or math.abs(now - at) > 3600000 then redis.call('HDEL', KEYS[1], all[i]) end
  end
end
return new
";

/// Takes the lease, or makes it last longer where this is its holder; answers with who else holds it. An empty lease is
/// nobody's, and so is what is no string. One that does not run out, or too late, is not renewed by anybody: from now on
/// it lasts as long as any other.
///
/// KEYS: the lease. ARGV: the holder, for how many milliseconds.
pub(super) const TAKE_LEASE: &str = "
local is = redis.pcall('GETRANGE', KEYS[1], 0, 4095)
if type(is) == 'table' then is = redis.pcall('GET', KEYS[1]) end
if type(is) == 'table' then
  if not string.find(is.err, 'WRONGTYPE', 1, true) then return is end
  is = false
end
if is and is ~= '' and is ~= ARGV[1] then
  local left = redis.pcall('PTTL', KEYS[1])
  if type(left) == 'number' and (left < 0 or left > tonumber(ARGV[2])) then
    redis.call('SET', KEYS[1], is, 'PX', ARGV[2])
  end
  return is
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ''
";

/// Gives the lease back. It is set to nothing that expires at once, so that operators need no right to delete.
///
/// KEYS: the lease. ARGV: the holder.
pub(super) const RELEASE_LEASE: &str = "
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], '', 'PX', 1) end
";
