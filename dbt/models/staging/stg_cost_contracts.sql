{{ loaded('cost_contracts', {'bim360_project_id': 'text', 'id': 'text', 'code': 'text', 'name': 'text', 'status': 'text', 'awarded': 'number', 'currency': 'text'}, newest_of='bim360_project_id') }}
