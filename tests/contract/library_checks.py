"""What a session can hold of packages, in the manner of ``state_checks.py``."""

from __future__ import annotations

from tests.contract.state_checks import Check

LIBRARY_CHECKS = [
    Check(
        "numpy",
        "import numpy as np\n"
        "np_a = np.arange(12.).reshape(3, 4); np_f = np.asfortranarray(np_a)\n"
        "np_s = np.array([(1, 2.5, 'x')], dtype=[('i', 'i4'), ('f', 'f8'), ('s', 'U3')])\n"
        "np_o = np.array([1, 'a', None], dtype=object); np_m = np.ma.array([1, 2], mask=[0, 1])\n"
        "np_t = np.array(['2020-01-01'], dtype='M8[D]')",
        "import numpy as np\n"
        "assert (np_a == np.arange(12.).reshape(3, 4)).all() and np_f.flags.f_contiguous\n"
        "assert np_s['s'][0] == 'x' and np_o[1] == 'a' and np_m.mask[1]\n"
        "assert np_t[0] == np.datetime64('2020-01-01'); np_a[0, 0] = 5",
        ("numpy",),
    ),
    Check(
        "polars",
        "import polars as pl\n"
        "pl_df = pl.DataFrame({'a': [1, 2], 's': ['x', None], 'c': pl.Series(['u', 'v'])"
        ".cast(pl.Categorical)})\npl_lazy = pl_df.lazy().filter(pl.col('a') > 1)",
        "assert pl_df['s'].to_list() == ['x', None] and pl_df['c'].to_list() == ['u', 'v']\n"
        "assert str(pl_df['c'].dtype).startswith('Categorical')\n"
        "assert pl_lazy.collect()['a'].to_list() == [2]",
        ("polars",),
    ),
    Check(
        "pandas",
        "import pandas as pd\n"
        "pd_df = pd.DataFrame({'i': [1, 2], 's': ['a', None], 'f': [1.5, float('nan')],\n"
        "  't': pd.to_datetime(['2020-01-01', '2021-01-01']).tz_localize('Europe/Vienna'),\n"
        "  'c': pd.Categorical(['u', 'v'])}, index=pd.Index(['r', 'q'], name='k'))\n"
        "pd_copy = pd_df.copy()",
        "import pandas as pd\npd.testing.assert_frame_equal(pd_df, pd_copy)\n"
        "assert str(pd_df['t'].dt.tz) == 'Europe/Vienna' and pd_df['c'].dtype == 'category'\n"
        "pd_df.loc['r', 'i'] = 9; assert pd_df['i'].iloc[0] == 9 and pd_copy['i'].iloc[0] == 1",
        ("pandas",),
    ),
    Check(
        "groupby",
        "import pandas as pd\ngb_df = pd.DataFrame({'k': list('aab'), 'v': [1, 2, 3]})\n"
        "gb_g = gb_df.groupby('k')",
        "assert gb_g['v'].sum().to_dict() == {'a': 3, 'b': 3}",
        ("pandas",),
    ),
    Check(
        "sklearn forest",
        "import numpy as np\nfrom sklearn.ensemble import RandomForestClassifier\n"
        "sk_x = np.random.default_rng(0).normal(size=(60, 4)); sk_y = (sk_x[:, 0] > 0) * 1\n"
        "sk_m = RandomForestClassifier(8, random_state=0).fit(sk_x, sk_y)\n"
        "sk_p = sk_m.predict_proba(sk_x)",
        "assert (sk_m.predict_proba(sk_x) == sk_p).all()",
        ("sklearn",),
    ),
    Check(
        "scipy sparse",
        "import scipy.sparse as sps\nsp_m = sps.random(20, 20, 0.2, 'csr', random_state=0)",
        "assert sp_m.format == 'csr' and sp_m.nnz == 80 and (sp_m @ sp_m).shape == (20, 20)",
        ("scipy",),
    ),
    Check(
        "statsmodels",
        "import numpy as np, pandas as pd, statsmodels.api as sm\n"
        "import statsmodels.formula.api as smf\n"
        "sm_d = pd.DataFrame({'x': np.arange(20.), 'y': np.arange(20.) * 2 + np.sin(range(20))})\n"
        "def sm_twice(v): return v * 2\n"
        "sm_ols = sm.OLS(sm_d.y, sm.add_constant(sm_d.x)).fit()\n"
        "sm_fit = smf.ols('y ~ sm_twice(x)', sm_d).fit()",
        "assert abs(sm_ols.params['x'] - 2) < .1\n"
        "assert abs(sm_fit.params['sm_twice(x)'] - 1) < .1\n"
        "assert len(sm_fit.predict(sm_d)) == 20 and sm_ols.summary()",
        ("statsmodels",),
    ),
    Check(
        "seaborn grid",
        "import matplotlib; matplotlib.use('agg')\nimport seaborn as sns, pandas as pd\n"
        "sns_g = sns.FacetGrid(pd.DataFrame({'a': list('xy'), 'b': [1, 2]}), col='a')\n"
        "sns_g.map(sns.histplot, 'b')",
        "assert len(sns_g.axes.flat) == 2 and sns_g.figure is sns_g.axes.flat[0].figure",
        ("seaborn",),
    ),
    Check(
        "arrow table",
        "import pyarrow as pa\npa_t = pa.table({'a': [1, 2, None], 's': ['x', 'y', 'z']})",
        "assert pa_t.to_pydict() == {'a': [1, 2, None], 's': ['x', 'y', 'z']}",
        ("pyarrow",),
    ),
    Check(
        "numpy generator",
        "import numpy as np\nng_g = np.random.default_rng(7); ng_g.random(3)\n"
        "import copy; ng_next = copy.deepcopy(ng_g).random()",
        "assert ng_g.random() == ng_next",
        ("numpy",),
    ),
    Check(
        "torch model and state",
        "import torch\ntorch.manual_seed(0)\nth_m = torch.nn.Linear(4, 2)\n"
        "th_opt = torch.optim.Adam(th_m.parameters(), lr=.1)\nth_x = torch.randn(8, 4)\n"
        "th_m(th_x).sum().backward(); th_opt.step(); th_out = th_m(th_x).detach()",
        "assert (th_m(th_x) == th_out).all() and th_m.weight.grad is not None\n"
        "assert th_opt.state_dict()['state'][0]['step'] == 1",
        ("torch",),
    ),
    Check(
        "torch optimizer linked",
        "import torch\ntl_m = torch.nn.Linear(3, 1)\n"
        "tl_opt = torch.optim.SGD(tl_m.parameters(), lr=.5)",
        "import torch\nassert tl_opt.param_groups[0]['params'][0] is tl_m.weight\n"
        "old = tl_m.weight.detach().clone(); tl_m(torch.ones(1, 3)).sum().backward()\n"
        "tl_opt.step(); assert (tl_m.weight != old).all()",
        ("torch",),
    ),
    Check(
        "figure",
        "import matplotlib; matplotlib.use('agg')\nfrom matplotlib.figure import Figure\n"
        "fig_f = Figure(); fig_ax = fig_f.add_subplot(); fig_line, = fig_ax.plot([1, 3, 2])",
        "assert fig_f.axes[0] is fig_ax and fig_ax.lines[0] is fig_line\n"
        "assert list(fig_line.get_ydata()) == [1, 3, 2]; fig_f.savefig(__import__('io').BytesIO())",
        ("matplotlib",),
    ),
    Check(
        "torch module class",
        "import torch\nclass NnNet(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__(); self.l = torch.nn.Linear(2, 1)\n"
        "    def forward(self, x): return self.l(x)\n"
        "nn_net = NnNet(); nn_in = torch.ones(1, 2); nn_out = nn_net(nn_in).item()",
        "assert nn_net(nn_in).item() == nn_out and type(nn_net) is NnNet and NnNet()",
        ("torch",),
    ),
    Check(
        "widget",
        "import ipywidgets\niw_w = ipywidgets.IntSlider(value=3)",
        "",
        ("ipywidgets",),
        refused=("iw_w",),
    ),
    Check(
        "torch view",
        "import torch\ntv_base = torch.zeros(10); tv_view = tv_base[2:4]",
        "tv_view[0] = 5; assert tv_base[2] == 5",
        ("torch",),
    ),
    Check(
        "numpy view",
        "import numpy as np\nnv_base = np.zeros((10, 10)); nv_view = nv_base[2:4, ::-1]\n"
        "nv_both = {'a': nv_base, 't': nv_base.T}",
        "nv_view[0, 0] = 5; assert nv_base[2, 9] == 5 and nv_both['t'][9, 2] == 5\n"
        "assert nv_both['a'] is nv_base",
        ("numpy",),
    ),
    Check(
        "numpy random state",
        "import numpy as np\nnp.random.seed(3); nr_state = np.random.get_state()\n"
        "nr_next = np.random.rand(); np.random.set_state(nr_state)",
        "import numpy as np\nassert np.random.rand() == nr_next",
        ("numpy",),
    ),
    Check(
        "torch random state",
        "import torch\ntorch.manual_seed(3); tr_state = torch.get_rng_state()\n"
        "tr_next = torch.rand(1).item(); torch.set_rng_state(tr_state)",
        "import torch\nassert torch.rand(1).item() == tr_next",
        ("torch",),
    ),
    Check(
        "rcParams",
        "import matplotlib; matplotlib.use('agg')\nmatplotlib.rcParams['figure.dpi'] = 123\n"
        "matplotlib.rcParams['lines.linewidth'] = 4",
        "import matplotlib\nassert matplotlib.rcParams['figure.dpi'] == 123\n"
        "assert matplotlib.rcParams['lines.linewidth'] == 4",
        ("matplotlib",),
    ),
    Check(
        "pandas options",
        "import pandas as pd\npd.set_option('display.max_rows', 7)",
        "import pandas as pd\nassert pd.get_option('display.max_rows') == 7",
        ("pandas",),
    ),
    Check(
        "pyplot figure number",
        "import matplotlib; matplotlib.use('agg')\nimport matplotlib.pyplot as plt\n"
        "pf_a = plt.figure(7); plt.plot([1]); plt.figure(3); plt.figure(7)",
        "import matplotlib.pyplot as plt\n"
        "assert {3, 7} <= set(plt.get_fignums()) and plt.gcf() is pf_a and pf_a.number == 7",
        ("matplotlib",),
    ),
]
