//! What Redis does in one step, in Lua (EVAL).
//!
//! All keys of a script share a slot of a Redis Cluster: the history and the registry have the key as their hash tag.

/// Checks whose the lease is, whether the record of the rollout is still the same, and whether the key still holds what
/// was read; then writes the key with its history, the record and the lease. Nothing is written where a check fails.
///
/// An empty lease is nobody's, and so is what is no string, or longer than any lease; the same goes for a record. A lease
/// of somebody else that does not run out, or too late, is renewed by nobody: from now on it lasts as long as any other.
/// One that is given back is set to nothing that expires at once, so that operators need no right to delete.
///
/// KEYS: the key, its history, the record, the lease. ARGV: how the lease must be (`anybody`, `held`, `seized`), by what
/// its holder is told, the lease, for how many milliseconds, whether it is given back (nothing where not), the longest
/// lease and record; how the record must be (nothing where it does not matter, `none`, `value`), what was expected of it,
/// the new one; what was expected of the key (nothing where it does not matter, `missing`, `value`, `wrong type`, `too
/// long`), the expected value, the new one, the longest value, how many changes to keep, then the fields of the history's
/// entry.
pub(super) const WRITE: &str = "
local holder, token, lease, lasts, release, longest = unpack(ARGV, 1, 6)
local record, was, becomes = unpack(ARGV, 7, 9)
local key, value, to, longest_value, keep = unpack(ARGV, 10, 14)
local function read(name, longest)
  local is = redis.pcall('GETRANGE', name, 0, longest)
  if is == '' or type(is) == 'table' then is = redis.pcall('GET', name) end
  if not is then return 'missing', '' end
  if type(is) == 'table' then
    if string.find(is.err, 'WRONGTYPE', 1, true) then return 'wrong type', '' end
    return nil, is
  end
  if #is > tonumber(longest) then return 'too long', tostring(redis.pcall('STRLEN', name)) end
  return 'value', is
end
local held = false
if holder ~= 'anybody' then
  local kind, is = read(KEYS[4], longest)
  if not kind then return is end
  held = kind == 'value' and is ~= ''
  if held and holder == 'held' and not string.find(is, token, 1, true) then
    local left = redis.pcall('PTTL', KEYS[4])
    if type(left) == 'number' and (left < 0 or left > tonumber(lasts)) then
      redis.call('SET', KEYS[4], is, 'PX', lasts)
    end
    return {'held', is}
  end
end
if record ~= '' then
  local kind, is = read(KEYS[3], longest)
  if not kind then return is end
  if kind ~= 'value' or is == '' then is = false end
  if is ~= (record == 'value' and was) then return {'stale', is} end
end
local failed = ''
if key ~= '' then
  local kind, is = read(KEYS[1], longest_value)
  if not kind then return is end
  if kind ~= key or (kind == 'value' and is ~= value) then return {'conflict', kind, is} end
  redis.call('SET', KEYS[1], to)
  local added = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', keep, '*', unpack(ARGV, 15))
  failed = type(added) == 'table' and added.err or ''
end
if record ~= '' and becomes ~= was then redis.call('SET', KEYS[3], becomes) end
if holder ~= 'anybody' and release == '' then
  redis.call('SET', KEYS[4], lease, 'PX', lasts)
elseif held then
  redis.call('SET', KEYS[4], '', 'PX', 1)
end
return {'done', failed}
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

/// Writes what the guard has refused beside the history: once, however many providers refuse it, and only while the key
/// still says so.
///
/// KEYS: the key, what was refused. ARGV: the value seen, the traffic that it means, since when an entry is of this very
/// refusal in milliseconds, how many to keep, then the fields of the entry.
pub(super) const RECORD_REFUSAL: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
if newest and tonumber(string.match(newest[1], '^%d+')) >= tonumber(ARGV[3]) then
  for i = 1, #newest[2], 2 do
    if newest[2][i] == 'refused' and newest[2][i + 1] == ARGV[2] then return 0 end
  end
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'refused', ARGV[2], unpack(ARGV, 5))
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
