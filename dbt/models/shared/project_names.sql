-- One row for each project that any stream names, with its name where `admin_projects` is loaded.
with named as (
    select distinct project_id
    from (
        select id as project_id from {{ ref('stg_admin_projects') }}
        {%- for model in ['stg_issues_issues', 'stg_rfis_rfis', 'stg_submittalsacc_items', 'stg_cost_budgets', 'stg_admin_project_users'] %}
        union all
        select bim360_project_id as project_id from {{ ref(model) }}
        {%- endfor %}
    ) as all_projects
)

select
    named.project_id,
    coalesce(projects.name, named.project_id) as project_name,
    projects.status,
    projects.currency,
    coalesce(lower(projects.status), 'active') not in ('archived', 'deleted', 'expired') as is_active
from named
left join {{ ref('stg_admin_projects') }} as projects on named.project_id = projects.id
where named.project_id is not null
