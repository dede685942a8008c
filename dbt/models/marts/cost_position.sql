with change_orders as (
    select
        contract_id,
        count(*) as open_change_orders,
        sum(estimated) as open_change_order_estimate
    from {{ ref('stg_cost_change_orders') }}
    where
        contract_id is not null
        and lower(coalesce(cost_status, 'open')) not in (
            'approved', 'executed', 'void', 'voided', 'rejected', 'canceled', 'cancelled', 'closed'
        )
    group by contract_id
)

select
    budgets.bim360_project_id as project_id,
    projects.project_name,
    budgets.id as budget_id,
    budgets.code as budget_code,
    budgets.name as budget_name,
    parents.id as parent_budget_id,
    contracts.code as contract_code,
    contracts.name as contract_name,
    contracts.status as contract_status,
    coalesce(projects.currency, contracts.currency) as currency,
    budgets.original_amount as original,
    budgets.revised,
    budgets.projected_budget,
    cast(
        case
            when
                coalesce(
                    budgets.original_commitment,
                    budgets.approved_change_orders,
                    budgets.approved_in_scope_change_orders
                ) is not null
                then
                    coalesce(budgets.original_commitment, 0)
                    + coalesce(budgets.approved_change_orders, 0)
                    + coalesce(budgets.approved_in_scope_change_orders, 0)
        end as {{ dbt.type_numeric() }}
    ) as committed,
    budgets.projected_cost,
    budgets.actual_cost as actual,
    coalesce(budgets.forecast_final_cost, budgets.projected_cost) as forecast,
    {{ autodesk_exports.exact('budgets.revised - coalesce(budgets.forecast_final_cost, budgets.projected_cost)') }}
        as left_over,
    coalesce(change_orders.open_change_orders, 0) as contract_open_change_orders,
    {{ autodesk_exports.exact('change_orders.open_change_order_estimate') }}
        as contract_open_change_order_estimate
from {{ ref('stg_cost_budgets') }} as budgets
left join {{ ref('stg_cost_budgets') }} as parents on budgets.parent_id = parents.id
left join {{ ref('stg_cost_contracts') }} as contracts on budgets.contract_id = contracts.id
left join change_orders on budgets.contract_id = change_orders.contract_id
left join {{ ref('project_names') }} as projects on budgets.bim360_project_id = projects.project_id
where budgets.id is not null and budgets.bim360_project_id is not null
