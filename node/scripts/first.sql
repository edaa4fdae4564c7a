SELECT 1 + 1
---
2
