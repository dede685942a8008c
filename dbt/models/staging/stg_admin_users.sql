{{ loaded('admin_users', {'id': 'text', 'autodesk_id': 'person', 'email': 'person', 'name': 'text', 'first_name': 'text', 'last_name': 'text', 'last_sign_in': 'timestamp', 'status': 'text'}) }}
