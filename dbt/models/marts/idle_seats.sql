with today as (
    select cast(insights as date) as as_of from {{ ref('as_of') }}
),

aged as (
    select
        seats.*,
        {{ dbt.datediff('seats.last_used_on', 'today.as_of', 'day') }} as days_idle,
        {{ dbt.datediff('seats.assigned_on', 'today.as_of', 'day') }} as days_assigned
    from {{ ref('seats') }} as seats
    cross join today
)

select
    aged.team_id,
    teams.team_alias,
    aged.person,
    names.person_name,
    aged.offering_name,
    aged.assigned_on,
    aged.days_assigned,
    aged.last_used_on,
    aged.days_idle,
    case
        when aged.days_idle is null then 'never'
        when aged.days_idle <= 30 then '0-30'
        when aged.days_idle <= 90 then '31-90'
        when aged.days_idle <= 180 then '91-180'
        else 'over 180'
    end as idle_for
from aged
left join {{ ref('teams') }} as teams on aged.team_id = teams.team_id
left join {{ ref('person_names') }} as names on aged.person = names.person
