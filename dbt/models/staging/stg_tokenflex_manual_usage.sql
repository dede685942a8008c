{{ loaded('tokenflex_manual_usage', {'contract_number': 'text', 'contract_year': 'number', 'usage_date': 'date', 'usage_category': 'text', 'product_name': 'text', 'tokens_consumed': 'number'}) }}
