{{ loaded('tokenflex_enrichments', {'contract_number': 'text', 'field': 'text', 'label': 'text'}) }}
