-- One row for each person with a name: that of the Data Connector, else the newest of Insights.
with seen as (
    select coalesce(email, autodesk_id) as id, name, first_name, last_name, 1 as rank, exported_at
    from {{ ref('stg_admin_users') }}
    {%- for model in ['stg_insights_users', 'stg_insights_usage_report', 'stg_insights_usage'] %}
    union all
    select
        coalesce({{ 'hashed_autodesk_id, ' if model != 'stg_insights_users' }}autodesk_id, email) as id,
        cast(null as {{ dbt.type_string() }}) as name,
        first_name,
        last_name,
        2 as rank,
        max(exported_at) as exported_at
    from {{ ref(model) }}
    where first_name <> '*****' or last_name <> '*****'
    group by 1, 3, 4
    {%- endfor %}
),

named as (
    select
        ids.person,
        coalesce(
            seen.name, nullif(trim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')), '')
        ) as person_name,
        seen.rank,
        seen.exported_at
    from seen
    inner join {{ ref('person_ids') }} as ids on seen.id = ids.id
),

ranked as (
    select
        named.*,
        row_number() over (
            partition by person order by rank, exported_at desc, person_name
        ) as place
    from named
    where person_name is not null
)

select person, person_name
from ranked
where place = 1
