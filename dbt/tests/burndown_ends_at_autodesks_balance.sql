-- The last known day of each contract year has Autodesk's own balance.
with last_days as (
    select contract_number, contract_year, max(day) as day
    from {{ ref('token_burndown') }}
    where not is_forecast
    group by contract_number, contract_year
)

select burndown.*
from {{ ref('token_burndown') }} as burndown
inner join last_days
    on burndown.contract_number = last_days.contract_number
    and burndown.contract_year = last_days.contract_year
    and burndown.day = last_days.day
where burndown.tokens_left <> burndown.remaining_tokens
