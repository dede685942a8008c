"""One page of pictures out of a warehouse in which the marts of the dbt package are built."""
