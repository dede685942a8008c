-- No token is lost or counted twice on its way from the streams to the cost centres.
select charged.tokens as charged, used.tokens as used
from (select coalesce(sum(tokens), 0) as tokens from {{ ref('token_chargeback') }}) as charged
cross join (
    select coalesce(sum(tokens_consumed), 0) as tokens
    from (
        select tokens_consumed from {{ ref('stg_tokenflex_usage') }} where usage_date is not null
        union all
        select tokens_consumed from {{ ref('stg_tokenflex_manual_usage') }} where usage_date is not null
    ) as rows_of_use
) as used
where charged.tokens <> used.tokens
