{{ loaded('rfis_rfi_transitions', {'rfi_id': 'text', 'from_status': 'text', 'to_status': 'text', 'created_at': 'timestamp'}) }}
