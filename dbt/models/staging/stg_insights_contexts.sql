{{ loaded('insights_contexts', {'context_id': 'text', 'alias': 'text'}) }}
