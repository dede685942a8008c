with today as (
    select cast(tokenflex as date) as as_of from {{ ref('as_of') }}
),

years as (
    select
        years.contract_number,
        years.year,
        years.start_date,
        years.end_date,
        years.provisioned_tokens,
        years.consumed_tokens,
        coalesce(
            years.remaining_tokens, years.provisioned_tokens - years.consumed_tokens
        ) as remaining_tokens,
        today.as_of,
        case when years.end_date < today.as_of then years.end_date else today.as_of end as last_day
    from {{ ref('stg_tokenflex_contract_years') }} as years
    cross join today
    where
        years.contract_number is not null
        and years.year is not null
        and years.start_date <= today.as_of
        and years.end_date is not null
),

first_use as (
    select
        contract_number,
        first_day,
        last_day,
        case
            when {{ dbt.datediff('first_day', 'last_day', 'day') }} >= 27 then 28
            else {{ dbt.datediff('first_day', 'last_day', 'day') }} + 1
        end as days
    from (
        select contract_number, min(usage_date) as first_day, max(usage_date) as last_day
        from {{ ref('token_use') }}
        where not is_manual
        group by contract_number
    ) as bounds
),

-- The day of an entry is kept within the year that it is charged to.
charged as (
    select
        years.contract_number,
        years.year,
        case
            when use.usage_date > years.last_day then years.last_day
            when use.usage_date < years.start_date then years.start_date
            else use.usage_date
        end as day,
        use.tokens
    from years
    inner join {{ ref('token_use') }} as use
        on years.contract_number = use.contract_number
        and (
            years.year = use.contract_year
            or (
                use.contract_year is null
                and use.usage_date between years.start_date and years.end_date
            )
        )
),

by_day as (
    select contract_number, year, day, sum(tokens) as tokens_used
    from charged
    group by contract_number, year, day
),

itemised as (
    select contract_number, year, sum(tokens_used) as tokens
    from by_day
    group by contract_number, year
),

-- The pace leaves manual entries out: they arrive up to two months late.
pace as (
    select
        first_use.contract_number,
        {{ autodesk_exports.ratio('sum(use.tokens)', 'min(first_use.days)', 6) }} as tokens_a_day
    from first_use
    inner join {{ ref('token_use') }} as use
        on first_use.contract_number = use.contract_number
        and not use.is_manual
        and use.usage_date > {{ autodesk_exports.add_days('first_use.last_day', -28) }}
    group by first_use.contract_number
),

days as (
    select
        years.*,
        {{ autodesk_exports.add_days('years.start_date', 'numbers.number') }} as day
    from years
    cross join {{ autodesk_exports.numbers(2048) }}
    where numbers.number <= {{ dbt.datediff('years.start_date', 'years.end_date', 'day') }}
),

balances as (
    select
        days.*,
        days.day > days.last_day as is_forecast,
        coalesce(by_day.tokens_used, 0) as tokens_used,
        pace.tokens_a_day,
        coalesce(itemised.tokens, 0) as tokens_itemised,
        case
            when days.day > days.last_day then
                days.remaining_tokens
                - pace.tokens_a_day * {{ dbt.datediff('days.last_day', 'days.day', 'day') }}
            -- Counted back from Autodesk's balance, so that a short history does no harm.
            else
                days.remaining_tokens + coalesce(itemised.tokens, 0)
                - sum(coalesce(by_day.tokens_used, 0)) over (
                    partition by days.contract_number, days.year
                    order by days.day
                    rows between unbounded preceding and current row
                )
        end as tokens_left
    from days
    left join by_day
        on days.contract_number = by_day.contract_number
        and days.year = by_day.year
        and days.day = by_day.day
    left join itemised
        on days.contract_number = itemised.contract_number and days.year = itemised.year
    left join pace on days.contract_number = pace.contract_number
),

-- Before the history that is loaded there is nothing to count, without a pace nothing to foresee.
shown as (
    select balances.*
    from balances
    left join first_use on balances.contract_number = first_use.contract_number
    where
        (balances.is_forecast and balances.tokens_a_day is not null)
        or (not balances.is_forecast and balances.day >= first_use.first_day)
        or (balances.day = balances.last_day and balances.end_date >= balances.as_of)
),

run_out as (
    select contract_number, year, min(day) as runs_out_on
    from shown
    where tokens_left <= 0
    group by contract_number, year
)

select
    shown.contract_number,
    cast(shown.year as {{ dbt.type_int() }}) as contract_year,
    shown.day,
    shown.is_forecast,
    {{ autodesk_exports.exact('case when not shown.is_forecast then shown.tokens_used end') }} as tokens_used,
    {{ autodesk_exports.exact('shown.tokens_left') }} as tokens_left,
    {{ autodesk_exports.ratio(
        'shown.provisioned_tokens * (' ~ dbt.datediff('shown.day', 'shown.end_date', 'day') ~ ')',
        '(' ~ dbt.datediff('shown.start_date', 'shown.end_date', 'day') ~ ' + 1)',
        2
    ) }} as even_use_left,
    shown.provisioned_tokens,
    shown.remaining_tokens,
    {{ autodesk_exports.exact('shown.consumed_tokens - shown.tokens_itemised') }} as tokens_not_itemised,
    {{ autodesk_exports.rounded('case when shown.end_date >= shown.as_of then shown.tokens_a_day end', 2) }} as tokens_a_day,
    run_out.runs_out_on,
    shown.start_date,
    shown.end_date,
    shown.end_date >= shown.as_of as is_current_year
from shown
left join run_out
    on shown.contract_number = run_out.contract_number and shown.year = run_out.year
