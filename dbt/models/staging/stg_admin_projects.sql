{{ loaded('admin_projects', {'id': 'text', 'name': 'text', 'status': 'text', 'currency': 'text'}) }}
