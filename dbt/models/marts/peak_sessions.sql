-- Times are written on the clock of the licence server, with its offset beside them. Sessions are
-- laid on one clock (UTC) to see which overlap, and shown on the clock of most of them.
with sessions as (
    select
        product_name,
        session_start_date as local_start,
        coalesce(
            session_end_date,
            {{ dbt.dateadd('minute', 'cast(coalesce(usage_minutes, 0) as ' ~ dbt.type_int() ~ ')', 'session_start_date') }}
        ) as local_end,
        coalesce({{ autodesk_exports.offset_minutes('license_server_time_zone_offset') }}, 0) as offset_minutes
    from {{ ref('stg_tokenflex_desktop_sessions') }}
    where session_start_date is not null and product_name is not null
),

clock as (
    select offset_minutes as shown_offset
    from (
        select
            offset_minutes,
            row_number() over (order by count(*) desc, offset_minutes) as place
        from sessions
        group by offset_minutes
    ) as offsets
    where place = 1
),

shifted as (
    select
        sessions.product_name,
        {{ dbt.dateadd('minute', 'clock.shown_offset - sessions.offset_minutes', 'sessions.local_start') }} as started,
        -- A session without length was there all the same.
        case
            when sessions.local_end > sessions.local_start
                then {{ dbt.dateadd('minute', 'clock.shown_offset - sessions.offset_minutes', 'sessions.local_end') }}
            else {{ dbt.dateadd('second', 1, dbt.dateadd('minute', 'clock.shown_offset - sessions.offset_minutes', 'sessions.local_start')) }}
        end as ended
    from sessions
    cross join clock
),

-- Each session once for each hour that it touches (up to 40 days: licences can be borrowed for 30).
touched as (
    select
        shifted.product_name,
        {{ dbt.dateadd('hour', 'numbers.number', dbt.date_trunc('hour', 'shifted.started')) }} as hour_start,
        shifted.started,
        shifted.ended
    from shifted
    cross join {{ autodesk_exports.numbers(1024) }}
    where {{ dbt.dateadd('hour', 'numbers.number', dbt.date_trunc('hour', 'shifted.started')) }} < shifted.ended
),

events as (
    select
        product_name,
        hour_start,
        case when started > hour_start then started else hour_start end as moment,
        1 as change
    from touched
    union all
    select product_name, hour_start, ended, -1
    from touched
    where ended < {{ dbt.dateadd('hour', 1, 'hour_start') }}
),

-- Where one session ends as another starts, the two do not overlap.
counted as (
    select
        product_name,
        hour_start,
        sum(change) over (
            partition by product_name, hour_start
            order by moment, change
            rows between unbounded preceding and current row
        ) as sessions
    from events
),

by_hour as (
    select product_name, hour_start, max(sessions) as peak
    from counted
    group by product_name, hour_start
),

placed as (
    select
        product_name,
        hour_start,
        peak,
        {{ dbt.datediff("cast('2024-01-01' as date)", 'hour_start', 'day') }} as day_number,
        {{ dbt.datediff(dbt.date_trunc('day', 'hour_start'), 'hour_start', 'hour') }} as hour
    from by_hour
),

-- 2024-01-01 was a Monday.
dated as (
    select
        placed.*,
        day_number - 7 * floor(day_number / 7.0) + 1 as weekday,
        row_number() over (
            partition by product_name, day_number - 7 * floor(day_number / 7.0), hour
            order by peak desc, hour_start
        ) as place
    from placed
),

observed as (
    select min(day_number) as first_day, max(day_number) as last_day from placed
),

weekdays as (
    select
        numbers.number + 1 as weekday,
        floor((last_day - numbers.number) / 7.0) - floor((first_day - 1 - numbers.number) / 7.0) as days
    from observed
    cross join {{ autodesk_exports.numbers(7) }}
)

select
    dated.product_name,
    cast(dated.weekday as {{ dbt.type_int() }}) as weekday,
    cast(dated.hour as {{ dbt.type_int() }}) as hour,
    cast(max(dated.peak) as {{ dbt.type_int() }}) as peak_sessions,
    max(case when dated.place = 1 then dated.hour_start end) as peak_at,
    {{ autodesk_exports.ratio('sum(dated.peak)', 'cast(max(weekdays.days) as ' ~ dbt.type_numeric() ~ ')', 2) }}
        as mean_peak,
    max(clock.shown_offset) as utc_offset_minutes
from dated
inner join weekdays on dated.weekday = weekdays.weekday
cross join clock
group by dated.product_name, dated.weekday, dated.hour
