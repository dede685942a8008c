{#- Whether an access option of Insights means tokens (`Flex`) and not a seat (`Subscription`). -#}
{%- macro is_flex(access_option) -%}
(lower(coalesce({{ access_option }}, '')) like '%flex%' or lower(coalesce({{ access_option }}, '')) like '%token%')
{%- endmacro -%}
