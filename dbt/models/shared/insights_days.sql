-- One row for each person, team, offering, product, version and day of use, by seat or by Flex.
select distinct
    coalesce(usage.team_id, usage.team_alias, 'unknown') as team_id,
    coalesce(ids.person, usage.hashed_autodesk_id, usage.autodesk_id, usage.email) as person,
    coalesce(usage.offering_name, usage.product_name) as offering_name,
    coalesce(usage.product_name, usage.offering_name) as product_name,
    usage.version,
    usage.day_used,
    {{ autodesk_exports.is_flex('usage.access_option') }} as is_flex
from {{ ref('stg_insights_usage') }} as usage
left join {{ ref('person_ids') }} as ids
    on coalesce(usage.hashed_autodesk_id, usage.autodesk_id, usage.email) = ids.id
where usage.day_used is not null
