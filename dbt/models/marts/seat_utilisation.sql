with today as (
    select cast(insights as date) as as_of from {{ ref('as_of') }}
),

use_by_seat as (
    select distinct
        team_id,
        offering_name,
        person,
        day_used,
        {{ autodesk_exports.month_of('day_used') }} as month
    from {{ ref('insights_days') }}
    where not is_flex and team_id is not null and offering_name is not null
),

by_month as (
    select team_id, offering_name, month, count(distinct person) as people_used
    from use_by_seat
    group by team_id, offering_name, month
),

busiest as (
    select
        team_id,
        offering_name,
        month,
        day_used as highest_day,
        count(*) as highest_day_people,
        row_number() over (
            partition by team_id, offering_name, month order by count(*) desc, day_used
        ) as place
    from use_by_seat
    group by team_id, offering_name, month, day_used
),

subscriptions as (
    select
        coalesce(team_id, team_alias, 'unknown') as team_id,
        offering_name,
        start_date,
        end_date,
        seat_quantity,
        exported_at,
        max(exported_at) over (partition by team_id) as newest_export
    from {{ ref('stg_insights_subscriptions') }}
    where lower(coalesce(subscription_status, 'active')) not in ('canceled', 'cancelled')
),

-- A term that the newest export no longer holds counts if it had ended by then: it is history.
terms as (
    select team_id, offering_name, start_date, end_date, seat_quantity
    from subscriptions
    where
        team_id is not null
        and offering_name is not null
        and (
            newest_export is null
            or exported_at = newest_export
            or end_date < cast(newest_export as date)
        )
),

first_term as (
    select team_id, offering_name, min(start_date) as first_start
    from terms
    group by team_id, offering_name
),

pairs as (
    select distinct team_id, offering_name
    from (
        select team_id, offering_name from by_month
        union all
        select team_id, offering_name from terms
    ) as known
),

bounds as (
    select
        coalesce(
            (select min(month) from use_by_seat), {{ autodesk_exports.month_of('as_of') }}
        ) as first_month,
        {{ autodesk_exports.month_of('as_of') }} as last_month
    from today
),

months as (
    select
        cast({{ dbt.dateadd('month', 'numbers.number', 'bounds.first_month') }} as date) as month
    from bounds
    cross join {{ autodesk_exports.numbers(600) }}
    where
        cast({{ dbt.dateadd('month', 'numbers.number', 'bounds.first_month') }} as date)
        <= bounds.last_month
),

-- Seats are those of the month's last day, so that a term and its renewal are not both counted.
ends as (
    select
        months.month,
        case
            when {{ autodesk_exports.month_end('months.month') }} < today.as_of
                then {{ autodesk_exports.month_end('months.month') }}
            else today.as_of
        end as last_day
    from months
    cross join today
),

bought as (
    select
        pairs.team_id,
        pairs.offering_name,
        ends.month,
        {{ autodesk_exports.exact('sum(terms.seat_quantity)') }} as seats
    from pairs
    cross join ends
    inner join terms
        on pairs.team_id = terms.team_id
        and pairs.offering_name = terms.offering_name
        and coalesce(terms.start_date, ends.last_day) <= ends.last_day
        and coalesce(terms.end_date, ends.last_day) >= ends.last_day
    group by pairs.team_id, pairs.offering_name, ends.month
),

-- Before the first term that is known nobody knows how many seats there were.
counted as (
    select
        pairs.team_id,
        pairs.offering_name,
        ends.month,
        ends.last_day,
        case
            when bought.month is not null then bought.seats
            when first_term.first_start <= ends.last_day then 0
        end as seats_bought,
        coalesce(by_month.people_used, 0) as people_used,
        coalesce(busiest.highest_day_people, 0) as highest_day_people,
        busiest.highest_day
    from pairs
    cross join ends
    left join bought
        on pairs.team_id = bought.team_id
        and pairs.offering_name = bought.offering_name
        and ends.month = bought.month
    left join first_term
        on pairs.team_id = first_term.team_id
        and pairs.offering_name = first_term.offering_name
    left join by_month
        on pairs.team_id = by_month.team_id
        and pairs.offering_name = by_month.offering_name
        and ends.month = by_month.month
    left join busiest
        on pairs.team_id = busiest.team_id
        and pairs.offering_name = busiest.offering_name
        and ends.month = busiest.month
        and busiest.place = 1
)

select
    counted.team_id,
    teams.team_alias,
    counted.offering_name,
    counted.month,
    cast(counted.seats_bought as {{ dbt.type_int() }}) as seats_bought,
    counted.people_used,
    cast(
        case
            when counted.seats_bought > counted.people_used
                then counted.seats_bought - counted.people_used
            when counted.seats_bought is not null then 0
        end as {{ dbt.type_int() }}
    ) as seats_unused,
    counted.highest_day_people,
    counted.highest_day,
    counted.last_day as counted_on,
    counted.month = bounds.last_month as is_current_month
from counted
cross join bounds
left join {{ ref('teams') }} as teams on counted.team_id = teams.team_id
