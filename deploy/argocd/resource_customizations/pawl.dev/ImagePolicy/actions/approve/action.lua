-- An approval is bound to the digest: a tag that is pushed again waits anew.
local pending = (obj.status or {}).pending
if pending == nil then
  error("nothing is pending")
end
if obj.spec.approved == nil then
  obj.spec.approved = {}
end
table.insert(obj.spec.approved, { tag = pending.tag, digest = pending.digest })
return obj
