"""What the shortest hand-made script costs: the libraries that it would use, imported."""

import connectorx
import deltalake
import pyarrow as pa

print(connectorx.__name__, deltalake.__name__, pa.__name__)
