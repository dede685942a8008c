"""Insights: seats and usage of subscriptions."""
