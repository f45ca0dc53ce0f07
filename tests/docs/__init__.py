# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
