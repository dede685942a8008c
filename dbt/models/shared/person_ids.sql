-- One row for each identifier of a person (address, Autodesk ID, hashed Autodesk ID): who it is.
-- A person is known by the newest address of their Autodesk ID, else by the identifier itself.
with sightings as (
    select hashed_autodesk_id, autodesk_id, email, max(exported_at) as seen_at
    from {{ ref('stg_insights_usage') }}
    group by hashed_autodesk_id, autodesk_id, email
    union all
    select hashed_autodesk_id, autodesk_id, email, max(exported_at)
    from {{ ref('stg_insights_usage_report') }}
    group by hashed_autodesk_id, autodesk_id, email
    union all
    select null, autodesk_id, email, max(exported_at)
    from {{ ref('stg_insights_users') }}
    group by autodesk_id, email
    union all
    select null, autodesk_id, email, max(exported_at)
    from {{ ref('stg_admin_users') }}
    group by autodesk_id, email
),

address_of_id as (
    select autodesk_id, email
    from (
        select
            autodesk_id,
            email,
            row_number() over (partition by autodesk_id order by max(seen_at) desc, email) as place
        from sightings
        where autodesk_id is not null and email is not null
        group by autodesk_id, email
    ) as addresses
    where place = 1
),

id_of_address as (
    select email, autodesk_id
    from (
        select
            email,
            autodesk_id,
            row_number() over (partition by email order by max(seen_at) desc, autodesk_id) as place
        from sightings
        where autodesk_id is not null and email is not null
        group by email, autodesk_id
    ) as ids
    where place = 1
),

known as (
    select
        sightings.hashed_autodesk_id,
        sightings.autodesk_id,
        sightings.email,
        sightings.seen_at,
        coalesce(
            by_id.email, by_address.email, sightings.email, sightings.autodesk_id
        ) as person
    from sightings
    left join address_of_id as by_id on sightings.autodesk_id = by_id.autodesk_id
    left join id_of_address on sightings.email = id_of_address.email
    left join address_of_id as by_address on id_of_address.autodesk_id = by_address.autodesk_id
),

identifiers as (
    select email as id, person, seen_at from known where email is not null
    union all
    select autodesk_id, person, seen_at from known where autodesk_id is not null
    union all
    select hashed_autodesk_id, person, seen_at from known where hashed_autodesk_id is not null
),

-- A hashed ID that is never seen with an address stands for itself.
ranked as (
    select
        id,
        coalesce(person, id) as person,
        row_number() over (
            partition by id
            order by case when person is null then 1 else 0 end, seen_at desc, person
        ) as place
    from identifiers
)

select id, person
from ranked
where place = 1
