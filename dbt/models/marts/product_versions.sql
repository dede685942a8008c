with uses as (
    select
        product_name,
        coalesce(version, 'none') as version,
        {{ autodesk_exports.month_of('day_used') }} as month,
        person,
        day_used,
        1 as by_insights,
        0 as by_tokenflex
    from {{ ref('insights_days') }}
    where product_name is not null
    union all
    select
        sessions.product_name,
        coalesce(sessions.product_version, 'none'),
        {{ autodesk_exports.month_of('sessions.usage_date') }},
        coalesce(by_machine.person, by_user.person, sessions.user_name),
        sessions.usage_date,
        0,
        1
    from {{ ref('stg_tokenflex_desktop_sessions') }} as sessions
    left join {{ ref('person_ids') }} as by_user on sessions.user_name = by_user.id
    -- For some products the person stands in the place of the machine.
    left join {{ ref('person_ids') }} as by_machine on sessions.machine_name = by_machine.id
    where sessions.usage_date is not null and sessions.product_name is not null
),

by_version as (
    select
        product_name,
        version,
        month,
        count(distinct person) as people,
        count(distinct case when by_insights = 1 then person end) as insights_people,
        count(distinct case when by_tokenflex = 1 then person end) as tokenflex_people
    from uses
    group by product_name, version, month
),

-- A day on which a person used a release through both APIs is one day.
days as (
    select product_name, version, month, count(*) as days_used
    from (select distinct product_name, version, month, person, day_used from uses) as person_days
    group by product_name, version, month
)

select
    by_version.product_name,
    by_version.version,
    by_version.month,
    by_version.people,
    by_version.insights_people,
    by_version.tokenflex_people,
    days.days_used,
    {{ autodesk_exports.ratio(
        'days.days_used',
        'sum(days.days_used) over (partition by by_version.product_name, by_version.month)',
        4
    ) }} as share_of_days
from by_version
inner join days
    on by_version.product_name = days.product_name
    and by_version.version = days.version
    and by_version.month = days.month
