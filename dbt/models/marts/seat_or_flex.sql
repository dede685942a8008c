{%- set token_price = var('token_price') -%}
with today as (
    select
        as_of,
        {{ autodesk_exports.add_days('as_of', -364) }} as year_start
    from (select cast(insights as date) as as_of from {{ ref('as_of') }}) as as_of
),

history as (
    select min(day_used) as first_day from {{ ref('insights_days') }}
),

product_days as (
    select distinct person, offering_name, product_name, day_used
    from {{ ref('insights_days') }}
    cross join today
    where day_used between year_start and as_of and person is not null and offering_name is not null
),

used as (
    select
        product_days.person,
        product_days.offering_name,
        count(distinct product_days.day_used) as days_used,
        sum(prices.tokens_per_day) as tokens,
        -- One product without a price leaves the cost unknown.
        count(*) - count(prices.tokens_per_day) as unpriced
    from product_days
    left join {{ ref('autodesk_prices') }} as prices
        on product_days.offering_name = prices.offering_name
        and product_days.product_name = prices.product_name
    group by product_days.person, product_days.offering_name
),

access as (
    select
        person,
        offering_name,
        min(first_day) as first_day,
        max(by_seat) as by_seat,
        max(by_flex) as by_flex
    from (
        select
            person,
            offering_name,
            min(day_used) as first_day,
            max(case when not is_flex and day_used >= year_start then 1 else 0 end) as by_seat,
            max(case when is_flex and day_used >= year_start then 1 else 0 end) as by_flex
        from {{ ref('insights_days') }}
        cross join today
        where person is not null and offering_name is not null
        group by person, offering_name
        union all
        select person, offering_name, min(assigned_on), 1, 0
        from {{ ref('seats') }}
        group by person, offering_name
    ) as ways
    group by person, offering_name
),

-- What is known of a person begins with the history that is loaded, their seat, or their first day.
observed as (
    select
        access.*,
        {{ dbt.datediff(autodesk_exports.latest(['today.year_start', 'history.first_day', 'access.first_day']), 'today.as_of', 'day') }} + 1
            as observed_days
    from access
    cross join today
    cross join history
    where access.by_seat = 1 or access.by_flex = 1
),

prices as (
    select
        offering_name,
        max(seat_price_per_year) as seat_price_per_year,
        min(tokens_per_day) as tokens_per_day
    from {{ ref('autodesk_prices') }}
    group by offering_name
),

costed as (
    select
        observed.person,
        observed.offering_name,
        observed.by_seat,
        observed.by_flex,
        observed.observed_days,
        coalesce(used.days_used, 0) as days_used,
        {{ autodesk_exports.ratio('365 * coalesce(used.days_used, 0)', 'observed.observed_days', 1) }}
            as days_per_year,
        case
            when coalesce(used.unpriced, 0) = 0 and prices.offering_name is not null then
                {{ autodesk_exports.ratio(
                    'coalesce(used.tokens, 0) * 365 * ' ~ token_price, 'observed.observed_days', 2
                ) }}
        end as flex_cost_per_year,
        {{ autodesk_exports.exact('prices.seat_price_per_year') }} as seat_price_per_year,
        {{ autodesk_exports.ratio(
            'prices.seat_price_per_year', '(prices.tokens_per_day * ' ~ token_price ~ ')', 1
        ) }} as break_even_days
    from observed
    left join used
        on observed.person = used.person and observed.offering_name = used.offering_name
    left join prices on observed.offering_name = prices.offering_name
)

select
    costed.person,
    names.person_name,
    costed.offering_name,
    case
        when costed.by_seat = 1 and costed.by_flex = 1 then 'both'
        when costed.by_seat = 1 then 'seat'
        else 'flex'
    end as licensed_by,
    costed.observed_days,
    costed.days_used,
    costed.days_per_year,
    costed.break_even_days,
    {{ autodesk_exports.exact('costed.flex_cost_per_year') }} as flex_cost_per_year,
    costed.seat_price_per_year,
    case
        when costed.flex_cost_per_year is null or costed.seat_price_per_year is null
            then 'no price'
        when costed.observed_days < 28 then 'too early'
        when costed.flex_cost_per_year < costed.seat_price_per_year then 'flex'
        else 'seat'
    end as cheaper_by,
    cast(
        case
            when costed.observed_days < 28 then null
            when costed.by_seat = 1 and costed.flex_cost_per_year < costed.seat_price_per_year
                then costed.seat_price_per_year - costed.flex_cost_per_year
            when costed.by_seat = 0 and costed.flex_cost_per_year > costed.seat_price_per_year
                then costed.flex_cost_per_year - costed.seat_price_per_year
            when costed.flex_cost_per_year is not null and costed.seat_price_per_year is not null
                then 0
        end as {{ dbt.type_numeric() }}
    ) as saving_per_year
from costed
left join {{ ref('person_names') }} as names on costed.person = names.person
