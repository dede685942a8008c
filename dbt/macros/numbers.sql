{#- A sum or amount with the one type that all numbers of the marts have: 22 digits and 6 decimals. -#}
{%- macro exact(number) -%}
cast({{ number }} as {{ dbt.type_numeric() }})
{%- endmacro -%}

{#- A number with so many decimals, the same on warehouses that divide exactly and in floating point. -#}
{%- macro rounded(number, digits) -%}
{{ autodesk_exports.exact('round(' ~ autodesk_exports.exact(number) ~ ', ' ~ digits ~ ')') }}
{%- endmacro -%}

{#- A rounded quotient; null where the divisor is 0. -#}
{%- macro ratio(dividend, divisor, digits) -%}
{{ autodesk_exports.rounded(autodesk_exports.exact(dividend) ~ ' / nullif(' ~ divisor ~ ', 0)', digits) }}
{%- endmacro -%}
