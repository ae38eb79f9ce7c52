local plan = (obj.status or {}).plan
if plan == nil then
  error("there is no plan yet")
end
obj.spec.rollout.approvedPlan = plan.hash
return obj
