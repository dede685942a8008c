{%- set field = var('chargeback_field') | lower | replace('_', '') -%}
{%- set number = field | replace('customfield', '') -%}
{%- if field not in ['customfield1', 'customfield2', 'customfield3', 'customfield4', 'customfield5', 'customfield6', 'customfield7', 'customfield8', 'customfield9', 'customfield10'] -%}
    {{ exceptions.raise_compiler_error("The variable chargeback_field is '" ~ var('chargeback_field') ~ "': give customField1 to customField10.") }}
{%- endif -%}
with labels as (
    select contract_number, max(label) as label
    from {{ ref('stg_tokenflex_enrichments') }}
    where lower(field) = '{{ field }}'
    group by contract_number
),

charged as (
    select
        contract_number,
        {{ autodesk_exports.month_of('usage_date') }} as month,
        coalesce(custom_field_{{ number }}, 'not assigned') as cost_value,
        coalesce(product_name, 'unknown') as product_name,
        coalesce(usage_category, 'unknown') as usage_category,
        tokens,
        person
    from {{ ref('token_use') }}
)

select
    charged.contract_number,
    charged.month,
    coalesce(labels.label, '{{ var('chargeback_field') }}') as cost_field,
    charged.cost_value,
    charged.product_name,
    charged.usage_category,
    {{ autodesk_exports.exact('sum(charged.tokens)') }} as tokens,
    count(distinct charged.person) as people
from charged
left join labels on charged.contract_number = labels.contract_number
group by
    charged.contract_number,
    charged.month,
    coalesce(labels.label, '{{ var('chargeback_field') }}'),
    charged.cost_value,
    charged.product_name,
    charged.usage_category
