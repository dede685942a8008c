{#- Plain dates out of dbt's own arithmetic, which gives timestamps on some warehouses. -#}

{%- macro add_days(date, days) -%}
cast({{ dbt.dateadd('day', days, date) }} as date)
{%- endmacro -%}

{%- macro month_of(date) -%}
cast({{ dbt.date_trunc('month', date) }} as date)
{%- endmacro -%}

{%- macro month_end(month) -%}
{{ autodesk_exports.add_days(dbt.dateadd('month', 1, month), -1) }}
{%- endmacro -%}

{#- The Monday of a date's week. -#}
{%- macro week_of(date) -%}
cast({{ dbt.date_trunc('week', date) }} as date)
{%- endmacro -%}

{#- The numbers from 0 to `count` - 1 as a relation with one column, `number`. -#}
{%- macro numbers(count) -%}
(
    select cast(generated_number as {{ dbt.type_int() }}) - 1 as number
    from ({{ dbt.generate_series(count) }}) as series
) as numbers
{%- endmacro -%}

{#- The latest of some dates, of which any may be null. -#}
{%- macro latest(dates) -%}
nullif(greatest(
    {%- for date in dates %}coalesce({{ date }}, cast('0001-01-01' as date)){{ ', ' if not loop.last }}{% endfor -%}
), cast('0001-01-01' as date))
{%- endmacro -%}
