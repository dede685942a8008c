{#- One row: when the data of each API was exported last. This, and not the clock, is today in all marts. -#}
{%- set streams = {
    'insights': ['insights_usage', 'insights_usage_report', 'insights_subscriptions', 'insights_users'],
    'tokenflex': ['tokenflex_usage', 'tokenflex_manual_usage', 'tokenflex_desktop_sessions'],
    'data_connector': [
        'issues_issues', 'rfis_rfis', 'submittalsacc_items', 'cost_budgets', 'admin_users',
        'admin_project_users'
    ],
} -%}
{%- set now = "cast('" ~ run_started_at.strftime('%Y-%m-%d %H:%M:%S') ~ "' as " ~ dbt.type_timestamp() ~ ")" -%}

select
    {%- for api, names in streams.items() %}
    coalesce((
        select max(exported_at)
        from (
            {%- for name in names %}
            select max(exported_at) as exported_at from {{ ref('stg_' ~ name) }}
            {%- if not loop.last %} union all {% endif %}
            {%- endfor %}
        ) as {{ api }}_exports
    ), {{ now }}) as {{ api }}{{ ',' if not loop.last }}
    {%- endfor %}
