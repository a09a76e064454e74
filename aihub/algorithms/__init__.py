"""What has a name: cards, stages, the planner that shares work, and the check of every card."""
