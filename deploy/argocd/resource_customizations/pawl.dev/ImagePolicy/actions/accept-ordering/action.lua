local ordering = (obj.status or {}).ordering
if ordering == nil then
  error("Pawl has not seen the spec yet")
end
obj.spec.acceptOrdering = ordering
return obj
