{{ loaded('admin_project_users', {'bim360_project_id': 'text', 'user_id': 'text', 'status': 'text', 'access_level': 'text'}, newest_of='bim360_project_id') }}
