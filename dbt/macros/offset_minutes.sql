{#- Minutes of an offset from UTC such as `-8:00`, `+05:30` or `1:00`; null where it is none. -#}
{%- macro offset_minutes(column) -%}
{%- set sign = "(case when " ~ column ~ " like '-%' then -1 else 1 end)" -%}
{%- set digits = "replace(replace(" ~ column ~ ", '-', ''), '+', '')" -%}
(
    case when {{ column }} like '%:%' then
        {{ sign }} * (
            60 * cast({{ dbt.split_part(digits, "':'", 1) }} as {{ dbt.type_int() }})
            + cast({{ dbt.split_part(digits, "':'", 2) }} as {{ dbt.type_int() }})
        )
    end
)
{%- endmacro -%}
