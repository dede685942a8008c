with today as (
    select
        cast(insights as date) as insights,
        cast(tokenflex as date) as tokenflex,
        cast(
            case
                when data_connector >= insights and data_connector >= tokenflex then data_connector
                when insights >= tokenflex then insights
                else tokenflex
            end as date
        ) as as_of
    from {{ ref('as_of') }}
),

insights_use as (
    select
        person,
        max(day_used) as last_used_on,
        count(distinct case when day_used > {{ autodesk_exports.add_days('today.insights', -90) }} then day_used end) as days_used_90
    from {{ ref('insights_days') }}
    cross join today
    where person is not null
    group by person
),

assigned as (
    select
        person,
        count(*) as seats,
        {{ dbt.listagg('offering_name', "', '", 'order by offering_name') }} as offerings
    from (select distinct person, offering_name from {{ ref('seats') }}) as seats
    group by person
),

team_of as (
    select person, team_id
    from (
        select
            person,
            team_id,
            row_number() over (partition by person order by max(seen_on) desc, team_id) as place
        from (
            select person, team_id, day_used as seen_on from {{ ref('insights_days') }}
            union all
            select seats.person, seats.team_id, today.insights
            from {{ ref('seats') }} as seats
            cross join today
        ) as seen
        where person is not null and team_id is not null
        group by person, team_id
    ) as ranked
    where place = 1
),

-- Everybody whom Insights names: also those who neither have a seat nor used anything.
insights_people as (
    select distinct person
    from (
        select person from insights_use
        union all
        select person from assigned
        union all
        select ids.person
        from {{ ref('stg_insights_users') }} as users
        inner join {{ ref('person_ids') }} as ids
            on coalesce(users.autodesk_id, users.email) = ids.id
    ) as known
),

tokens as (
    select
        person,
        sum(case when usage_date > {{ autodesk_exports.add_days('today.tokenflex', -365) }} then tokens else 0 end) as tokens,
        max(usage_date) as last_used_on
    from {{ ref('token_use') }}
    cross join today
    where person is not null
    group by person
),

accounts as (
    select
        ids.person,
        min(users.status) as account_status,
        max(cast(users.last_sign_in as date)) as last_sign_in_on
    from {{ ref('stg_admin_users') }} as users
    inner join {{ ref('person_ids') }} as ids on coalesce(users.email, users.autodesk_id) = ids.id
    group by ids.person
),

memberships as (
    select
        ids.person,
        count(distinct members.bim360_project_id) as projects,
        count(distinct case when members.access_level = 'project_admin' then members.bim360_project_id end) as projects_as_admin
    from {{ ref('stg_admin_project_users') }} as members
    inner join {{ ref('stg_admin_users') }} as users on members.user_id = users.id
    inner join {{ ref('person_ids') }} as ids on coalesce(users.email, users.autodesk_id) = ids.id
    left join {{ ref('project_names') }} as projects
        on members.bim360_project_id = projects.project_id
    where
        lower(coalesce(members.status, 'active')) = 'active' and coalesce(projects.is_active, true)
    group by ids.person
),

everybody as (
    select distinct person
    from (
        select person from insights_people
        union all
        select person from tokens
        union all
        select person from accounts
    ) as known
),

put_together as (
    select
        everybody.person,
        names.person_name,
        teams.team_alias,
        coalesce(assigned.seats, 0) as seats,
        assigned.offerings,
        insights_use.last_used_on,
        coalesce(insights_use.days_used_90, 0) as days_used_90,
        coalesce(tokens.tokens, 0) as tokens,
        tokens.last_used_on as last_tokens_on,
        coalesce(memberships.projects, 0) as projects,
        coalesce(memberships.projects_as_admin, 0) as projects_as_admin,
        accounts.account_status,
        accounts.last_sign_in_on,
        insights_people.person is not null as in_insights,
        tokens.person is not null as in_tokenflex,
        accounts.person is not null as in_data_connector,
        {{ autodesk_exports.latest(['insights_use.last_used_on', 'tokens.last_used_on', 'accounts.last_sign_in_on']) }} as last_active_on,
        today.as_of
    from everybody
    cross join today
    left join insights_people on everybody.person = insights_people.person
    left join insights_use on everybody.person = insights_use.person
    left join assigned on everybody.person = assigned.person
    left join tokens on everybody.person = tokens.person
    left join accounts on everybody.person = accounts.person
    left join memberships on everybody.person = memberships.person
    left join team_of on everybody.person = team_of.person
    left join {{ ref('teams') }} as teams on team_of.team_id = teams.team_id
    left join {{ ref('person_names') }} as names on everybody.person = names.person
)

select
    person,
    person_name,
    team_alias,
    seats,
    offerings,
    last_used_on,
    days_used_90,
    {{ autodesk_exports.exact('tokens') }} as tokens,
    last_tokens_on,
    projects,
    projects_as_admin,
    account_status,
    last_sign_in_on,
    last_active_on,
    in_insights,
    in_tokenflex,
    in_data_connector,
    seats > 0 or projects > 0 as has_access,
    (seats > 0 or projects > 0)
    and (
        last_active_on is null
        or last_active_on < {{ autodesk_exports.add_days('as_of', -1 * var('inactive_after_days')) }}
    ) as access_without_activity
from put_together
where person is not null
