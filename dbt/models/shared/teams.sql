-- One row for each Insights team, with its present name: teams are renamed, their ID stays.
with seen as (
    {%- for model in ['stg_insights_subscriptions', 'stg_insights_users', 'stg_insights_usage', 'stg_insights_usage_report'] %}
    select team_id, team_alias, max(exported_at) as exported_at
    from {{ ref(model) }}
    group by team_id, team_alias
    {%- if not loop.last %} union all {% endif %}
    {%- endfor %}
),

newest as (
    select
        coalesce(team_id, team_alias) as team_id,
        team_alias,
        row_number() over (
            partition by coalesce(team_id, team_alias) order by exported_at desc, team_alias
        ) as place
    from seen
    where coalesce(team_id, team_alias) is not null
)

select newest.team_id, coalesce(contexts.alias, newest.team_alias) as team_alias
from newest
left join {{ ref('stg_insights_contexts') }} as contexts on newest.team_id = contexts.context_id
where newest.place = 1
