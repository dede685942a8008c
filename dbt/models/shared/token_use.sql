-- Every token that was used, one row for each row of usage and of manual entries.
-- For Arnold, RenderNode and VRED Autodesk writes the machine where the user belongs (documented,
-- since December 2021): there a name counts as a person only if it is known from elsewhere.
with metered as (
    select
        coalesce(contract_number, 'unknown') as contract_number, contract_year, usage_date, usage_category, product_name, user_name,
        tokens_consumed as tokens, false as is_manual, exported_at
        {%- for number in range(1, 11) %}, custom_field_{{ number }}{% endfor %}
    from {{ ref('stg_tokenflex_usage') }}
),

entered as (
    select
        coalesce(contract_number, 'unknown') as contract_number, contract_year, usage_date, usage_category, product_name,
        cast(null as {{ dbt.type_string() }}) as user_name,
        tokens_consumed as tokens, true as is_manual, exported_at
        {%- for number in range(1, 11) %}, cast(null as {{ dbt.type_string() }}) as custom_field_{{ number }}{% endfor %}
    from {{ ref('stg_tokenflex_manual_usage') }}
),

all_use as (
    select * from metered
    union all
    select * from entered
)

select
    all_use.*,
    case
        when ids.person is not null then ids.person
        when lower(all_use.product_name) like 'arnold%' or lower(all_use.product_name) like 'vred%'
            or lower(all_use.product_name) like 'render%node%' then null
        else all_use.user_name
    end as person
from all_use
left join {{ ref('person_ids') }} as ids on all_use.user_name = ids.id
where all_use.usage_date is not null
